"""Classifiers on a candidate's outputs. Labels, features and heads never leave the device."""
