"""For teachers: make an nbgrader course from the lessons' exercises, and compare the recordings of a class."""
