update consumers set live = 1 where name = :name and generation = :generation
