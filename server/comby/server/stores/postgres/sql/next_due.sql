select min(not_before) from comby.commands
where status = 'accepted' and not_before is not null and not_before > $1
  and ($2::integer[] is null or partition = any ($2::integer[]))
