-- Since when nobody can be reached at an address of theirs: they have blocked us there, or left. It
-- stays theirs, and is where we write to them once they are back.
ALTER TABLE addresses ADD COLUMN gone_at timestamptz;
