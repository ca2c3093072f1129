WORKS = []
