-- A type of its own for each path of the metadata is files of its own in a wide part, and lists of objects multiply
-- them: 800 hostile rows made a part of more than 20,000 files, beyond what a process may open. Without such types, a
-- part has about 900 files, whatever is in it, and hostile metadata is stored several times as fast.
ALTER TABLE task_rows MODIFY COLUMN metadata JSON(max_dynamic_paths = 64, max_dynamic_types = 0);
