"""Rules about single programs, on by default: one package a program, its facts beside its rules."""
