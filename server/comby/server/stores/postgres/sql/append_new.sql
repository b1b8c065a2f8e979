-- Arrays come as literals (literals.py and new_commands.py).
select head, recorded from comby.append_new(
  $1, $2, $3, $4, $5::text::integer[], $6::text::bigint[], $7::text::comby.new_command[], $8::text::comby.moved_aggregate[],
  $9::text::comby.new_event[], $10::text::comby.put_row[], $11::text::text[],
  $12
)
