insert into batch (kind, item, payload)
select item.value ->> 'kind', item.value, substr(:payload, item.value ->> 'start', item.value ->> 'length')
from json_each(:items) as item
