-- What proves the From of a mail from outside; "" = nothing that was asked for.
ALTER TABLE inbound ADD COLUMN proven TEXT NOT NULL DEFAULT '';

-- The newest word on whether an employee's carrier address works, also when it says no.
ALTER TABLE confirmation ADD COLUMN works INTEGER NOT NULL DEFAULT 1;
ALTER TABLE confirmation ADD COLUMN how TEXT NOT NULL DEFAULT 'admin';
ALTER TABLE confirmation ADD COLUMN note TEXT NOT NULL DEFAULT '';
