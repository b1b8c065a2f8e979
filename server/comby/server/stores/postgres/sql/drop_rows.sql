select comby.drop_rows($1, $2)
