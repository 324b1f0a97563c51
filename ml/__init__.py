"""What does learning need that knows no robot?"""
