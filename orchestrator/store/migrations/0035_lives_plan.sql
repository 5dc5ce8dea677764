-- The trigger's plan is made once per connection, for the few rows that it first sees: a loop in a
-- loop, which a file of thousands must not be compared by.
ALTER FUNCTION keep_people() SET enable_nestloop = off;
