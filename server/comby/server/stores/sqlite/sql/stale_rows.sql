-- Nothing is looked at where the model has rows of no other stamp.
select json_group_array(json_array(tenant_id, key))
from (
  select tenant_id, key from rows
  where model = :model and stamp <> :stamp
    and exists (select * from stamps where model = :model and stamp <> :stamp)
  limit :limit
)
