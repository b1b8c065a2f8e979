select comby.delete_consumer($1, $2)
