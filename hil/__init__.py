"""The hardware-in-the-loop rig: a plant, its camera, its operator, the faults, and the drives that show the guard.

Nothing in `edgeguard` imports this package. Rigs may read clocks and start
processes; the plant and the planner may not.
"""
