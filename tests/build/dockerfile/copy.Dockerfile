FROM scratch
ARG DIR=dir
ARG OWNER=app:app
COPY a b $DIR/ /dest/
COPY --chown=$OWNER --chmod=u=rwX,go=rX --link --parents --exclude=*.md --exclude=$DIR/x ./a/./b/*.txt /dest/
COPY --link=false plain.txt dest
COPY <<EOF <<"RAW" plain /dest/
value $DIR \$DIR "quotes" 'too'
EOF
value $DIR \$DIR
RAW
COPY <<-EOF /one
	tabs	go
EOF
ADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d https://example.com/a.tar.gz /
ADD --keep-git-dir=true https://github.com/moby/buildkit.git#v0.10.1:docs /docs
ADD --unpack=false a.tar.gz b.tar /archives/
