"""What tune() of a language model needs of peft."""


class LoraConfig:
    def __init__(self, **arguments):
        self.r = 8
        self.target_modules = None
        vars(self).update(arguments)

    def to_dict(self):
        return dict(vars(self))
