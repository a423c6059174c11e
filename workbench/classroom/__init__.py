"""What a teacher does with the lessons and a class: hand the exercises out and have them graded."""
