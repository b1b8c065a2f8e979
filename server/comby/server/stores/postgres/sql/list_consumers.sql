select name, generation, version, live, position, since from comby.consumers order by name, generation
