select name, generation, version, live, position, since from consumers order by name, generation
