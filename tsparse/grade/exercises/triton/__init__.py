"""Exercises of lesson 13: three kernels, from one factor a row to a product of matrices."""

from tsparse.grade.exercises.triton import matmul, row_softmax, scale_rows

EXERCISES = (scale_rows.EXERCISE, row_softmax.EXERCISE, matmul.EXERCISE)
