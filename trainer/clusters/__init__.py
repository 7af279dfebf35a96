"""Trainings on batch systems: Slurm, Kubernetes."""
