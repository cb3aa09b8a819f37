-- The shop's tables, read by a postgres without network before the recording begins: one statement a line.
-- It never holds a value that is unique to a request: 200 items, a handful of quantities.
CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, stock int NOT NULL, description text NOT NULL);
INSERT INTO items SELECT n, 'item ' || n, 1000 + n, repeat('A thing worth having. ', 1 + n % 12) FROM generate_series(1, 200) AS n;
CREATE TABLE orders (item int NOT NULL, quantity int NOT NULL);
