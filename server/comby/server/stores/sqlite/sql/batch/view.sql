-- One statement that inserts into this view is one whole batch: the triggers beside this file, one for each kind of item,
-- write it, in order. So a batch costs the writer's thread one wait for the interpreter, not one for each row.
create temp view batch as select null as kind, null as item, null as payload
