select comby.join_instance($1, $2, $3, $4, $5, $6, $7)
