"""temp"""
def explain(error, command, args, configs):
    return str(error)
