"""Exercises of lesson 05: an encoder layer, a decoder layer, and writing one token after another."""

from tsparse.grade.exercises.transformer.decoder import DECODER_LAYER
from tsparse.grade.exercises.transformer.decoding import GREEDY_DECODE
from tsparse.grade.exercises.transformer.encoder import ENCODER_LAYER

EXERCISES = (ENCODER_LAYER, DECODER_LAYER, GREEDY_DECODE)
