select name, generation, version, live, position, since from comby.create_consumer($1, $2, $3, $4, $5, $6)
