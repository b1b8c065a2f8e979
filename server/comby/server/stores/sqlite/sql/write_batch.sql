-- coalesce: a part of an empty blob is null.
insert into batch (kind, item, payload)
select item.value ->> 'kind', item.value, coalesce(substr(:payload, item.value ->> 'start', item.value ->> 'length'), x'')
from json_each(:items) as item
