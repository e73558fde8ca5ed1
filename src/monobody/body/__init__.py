"""The body model: skinning, kinematics, rotations, joint sets, files and the pose prior."""
