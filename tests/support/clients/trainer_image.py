"""Stands for the program of the image kubeflow/trainer-huggingface: prints a loss as transformers does."""

import argparse
import json

parser = argparse.ArgumentParser()
for name in ("model_uri", "transformer_type", "num_labels", "model_dir", "dataset_dir", "lora_config"):
    parser.add_argument(f"--{name}")
parser.add_argument("--training_parameters", type=lambda text: json.loads(text.strip("'")))
arguments = parser.parse_args()
rank = json.loads(arguments.lora_config.strip("'"))["r"]
print({"train_loss": float(arguments.training_parameters["learning_rate"]) * float(rank), "epoch": 3.0})
