select tenant_id, count(*) from comby.commands where status = 'accepted' group by tenant_id
