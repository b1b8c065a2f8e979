update consumers set position = :after
where name = :name and generation = :generation and position = :before
