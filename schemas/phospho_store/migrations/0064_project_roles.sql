-- Roles of single projects, which replace the role for all projects there.
ALTER TABLE person_rows ADD COLUMN IF NOT EXISTS project_roles Map(String, String) AFTER role;
