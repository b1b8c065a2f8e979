select min(not_before) from commands
where status = 'accepted' and not_before is not null and not_before > :after
  and (:partitions is null or partition in (select value from json_each(:partitions)))
