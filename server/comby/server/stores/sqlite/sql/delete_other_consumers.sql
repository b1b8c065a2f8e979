delete from consumers where name = :name and generation <> :generation
