"""The sections of the report: functions that yield the content of one section, or nothing if there is none to show."""
