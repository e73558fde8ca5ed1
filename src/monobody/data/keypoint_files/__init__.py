"""2D keypoints of people as other programs write them: OpenPose, COCO, MediaPipe, mmpose, LSP, tables, our own."""
