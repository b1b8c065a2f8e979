-- Nothing is looked at where the model has rows of no other stamp.
select tenant_id, key from comby.rows
where model = $1 and stamp <> $2 and exists (select from comby.stamps where model = $1 and stamp <> $2)
limit $3
