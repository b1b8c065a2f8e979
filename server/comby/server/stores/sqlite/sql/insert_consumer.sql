insert into consumers (name, generation, version, live, position, since)
values (:name, :generation, :version, :live, :position, :since)
on conflict do nothing
