-- A table with an index, sorted with helper threads.
PRAGMA threads = 4;
PRAGMA cache_size = -1024;
CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT);
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
INSERT INTO t SELECT i, hex(i * 7919 % 20011) FROM n;
CREATE INDEX by_v ON t(v);
SELECT count(*), min(v), max(v), sum(k * length(v)) FROM t;
SELECT k, v FROM t ORDER BY v DESC, k LIMIT 5;
PRAGMA integrity_check;
