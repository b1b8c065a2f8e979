select comby.switch_consumer($1, $2)
