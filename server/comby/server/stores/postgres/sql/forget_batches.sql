-- The verdicts of writers that have ended: a writer asks again within seconds, so a day is long enough.
delete from comby.batches as batch
where batch.recorded_at < (extract(epoch from clock_timestamp()) - 86400) * 1000000;
