select comby.release_holdings($1, $2, $3, $4, $5)
