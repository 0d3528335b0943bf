"""Exams from the pattern algebra: `tsparse exam` draws questions for each student, and grades the answers."""
