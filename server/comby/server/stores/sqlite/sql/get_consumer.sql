select name, generation, version, live, position, since from consumers where name = :name and generation = :generation
