-- The wire form of an event, as ports/elements.py makes it: what only the log knows.

-- A protobuf varint, of any length.
create function comby.long_varint(value bigint) returns bytea
language plpgsql immutable strict parallel safe as $$
declare
  encoded bytea := '';
begin
  while value >= 128 loop
    encoded := encoded || substr(int8send((value & 127) | 128), 8);
    value := value >> 7;
  end loop;
  return encoded || substr(int8send(value), 8);
end
$$;

-- The same, as an expression that is put in the place of the call. Its argument is used more than once: give a column.
create function comby.varint(value bigint) returns bytea
language sql immutable parallel safe
return case
  when value < 128 then substr(int8send(value), 8)
  when value < 16384 then substr(int8send((((value & 127) | 128) << 8) | (value >> 7)), 7)
  when value < 2097152 then substr(
    int8send((((value & 127) | 128) << 16) | ((((value >> 7) & 127) | 128) << 8) | (value >> 14)), 6
  )
  when value < 268435456 then substr(
    int8send(
      (((value & 127) | 128) << 24) | ((((value >> 7) & 127) | 128) << 16)
      | ((((value >> 14) & 127) | 128) << 8) | (value >> 21)
    ),
    5
  )
  else comby.long_varint(value)
end;

-- The field `recorded_at` of an event, for a time in microseconds since 1970.
create function comby.time_field(recorded_at bigint) returns bytea
language plpgsql immutable strict parallel safe as $$
declare
  seconds constant bigint := recorded_at / 1000000;
  nanos   constant bigint := recorded_at % 1000000 * 1000;
  field   bytea := '\x08'::bytea || comby.long_varint(seconds);
begin
  if nanos > 0 then
    field := field || '\x10'::bytea || comby.long_varint(nanos);
  end if;
  return '\x42'::bytea || comby.long_varint(length(field)) || field;
end
$$;
