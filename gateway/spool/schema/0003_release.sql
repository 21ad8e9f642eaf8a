-- What a person decided about a single delivery.

-- 1: a person let it go over its budget, which still counts its segments.
ALTER TABLE delivery ADD COLUMN released INTEGER NOT NULL DEFAULT 0;
