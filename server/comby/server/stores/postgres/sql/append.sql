-- Arrays of numbers and texts come as literals (literals.py).
select * from comby.append(
  $1, $2, $3, $4, $5::text::text[], $6::text::text[], $7::text::text[], $8::text::text[], $9::text::text[],
  $10::text::integer[], $11::text::text[], $12::text::bigint[], $13::text::integer[], $14::text::text[],
  $15::text::text[], $16::text::integer[], $17, $18::text::text[], $19::text::bigint[], $20::text::bigint[],
  $21::text::integer[], $22, $23, $24::text::smallint[], $25::text::integer[], $26::text::integer[],
  $27::text::smallint[], $28::text::bigint[], $29, $30::text::integer[], $31::text::bigint[], $32::text::integer[],
  $33::text::integer[], $34::text::integer[], $35::text::bigint[], $36::text::bigint[], $37::text::boolean[],
  $38::text::integer[], $39::text::integer[], $40::text::bigint[], $41::text::text[], $42::text::text[], $43,
  $44::text::integer[], $45::text::integer[], $46::text::text[], $47::text::text[], $48::text::text[],
  $49::text::bigint[], $50::text::text[], $51::text::text[], $52, $53::text::text[], $54::text::text[],
  $55::text::integer[], $56::text::bigint[], $57::text::bigint[], $58
)
