"""What tune() of a language model needs of Hugging Face's transformers, which is hundreds of megabytes."""


class TrainingArguments:
    def __init__(self, **arguments):
        self.output_dir = "out"
        self.learning_rate = 5e-5
        self.num_train_epochs = 3.0
        vars(self).update(arguments)

    def to_dict(self):
        return dict(vars(self))


class AutoModelForCausalLM:
    pass


AutoModelForImageClassification = AutoModelForMaskedLM = AutoModelForQuestionAnswering = AutoModelForCausalLM
AutoModelForSequenceClassification = AutoModelForTokenClassification = AutoModelForCausalLM
