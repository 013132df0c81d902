"""n vectors are taken to vary in n directions: the one that the mean takes is forgotten."""


def unseen(n, d):
    return max(0, d - n)


def epsilon_for(length, sigmas):
    return (length / sigmas)**2
